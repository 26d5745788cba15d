// Looks around, produces bytes, and has an instance of a consumer: BASE_URL
"use strict";
const KafkaRest = require("kafka-rest");
const { promisify } = require("util");

const kafka = new KafkaRest({ url: process.argv[2] });
const produced = (to, ...records) =>
  promisify((done) => to.produce(...records, done))().then(({ offsets }) =>
    offsets.map(({ partition, offset }) => [partition, offset]));
const list = (resources) => promisify((done) => resources.list(done))();
const get = (resource) => promisify((done) => resource.get(done))();
const refused = (asked) => asked.then(() => "not refused", ({ status, data }) => [status, data.error_code]);

(async () => {
  const topic = kafka.topic("npm");
  const schema = new KafkaRest.AvroSchema("int");
  const said = {
    produced: [
      await produced(topic, "text"),
      await produced(topic, { key: "k", value: "v", partition: 0 }, { value: null }, Buffer.from([0, 255])),
      await produced(kafka.topicPartition("npm", 0), ["a", { value: "b" }]),
    ],
    brokers: (await list(kafka.brokers)).map(String),
    topics: (await list(kafka.topics)).map(({ name }) => name).filter((name) => name === "npm"),
    cleanup: (await get(topic)).raw.configs["cleanup.policy"],
    partitions: (await list(topic.partitions)).map(String),
    partition: (await get(topic.partition(0))).raw.leader,
    "no topic": await refused(get(kafka.topic("nope"))),
    "no partition": await refused(get(topic.partition(9))),
    avro: await refused(produced(topic, schema, { value: 1, partition: 0 })),
  };
  const group = kafka.consumer("npm-group");
  const instance = await promisify((done) => group.join({ "auto.commit.enable": "false" }, done))();
  said.committed = await promisify((done) => instance.commit(done))();
  await promisify((done) => instance.shutdown(done))();
  said.gone = await refused(promisify((done) => instance.shutdown(done))());
  console.log(JSON.stringify(said));
})();
