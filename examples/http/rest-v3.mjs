// Clusters, topics and a stream of records the way of REST Proxy's version 3, with the fetch that
// Node (18 or later) has.
//
//   node rest-v3.mjs topics  BASE_URL
//   node rest-v3.mjs produce BASE_URL TOPIC    a record of each line of the standard input, JSON

import {createInterface} from "node:readline";
import {Readable} from "node:stream";

/** The answer to a request; throws what the broker says where it refuses. */
async function ask(url, options) {
    const answer = await fetch(url, options);
    if (!answer.ok) throw new Error(`${url}: ${answer.status} ${await answer.text()}`);
    return answer;
}

/** The cluster that the broker is of, with the URLs of what belongs to it. */
async function cluster(base) {
    const clusters = await ask(`${base}/v3/clusters`);
    return (await clusters.json()).data[0];
}

async function topics(base) {
    const answer = await ask((await cluster(base)).topics.related);
    for (const {topic_name, partitions_count} of (await answer.json()).data) {
        console.log(JSON.stringify({topic_name, partitions_count}));
    }
}

/** Sends all records on one connection, while they come, and shows what becomes of each at once. */
async function produce(base, topic) {
    const {topics} = await cluster(base);
    const answer = await ask(`${topics.related}/${encodeURIComponent(topic)}/records`, {
        method: "POST",
        headers: {"Content-Type": "application/json"},
        body: records(),
        duplex: "half",
    });
    for await (const line of linesOf(Readable.fromWeb(answer.body))) {
        // The status of the whole answer does not tell of records that are not stored.
        if (JSON.parse(line).error_code === 200) {
            console.log(line);
        } else {
            console.error(line);
            process.exitCode = 1;
        }
    }
    process.stdin.destroy(); // behind what is no JSON nothing is read: the answer ends first
}

async function* records() {
    for await (const line of linesOf(process.stdin)) {
        yield Buffer.from(`{"value":{"type":"JSON","data":${line}}}\n`);
    }
}

function linesOf(input) {
    return createInterface({input, crlfDelay: Infinity});
}

const [command, base, topic] = process.argv.slice(2);
const run = {topics, produce}[command];
if (!run || !base || (run === produce && !topic)) {
    console.error("node rest-v3.mjs topics BASE_URL | produce BASE_URL TOPIC");
    process.exit(2);
}
try {
    await run(base.replace(/\/$/, ""), topic);
} catch (error) {
    console.error(error.cause?.message ?? error.message);
    process.exit(1);
}
