// Makes a topic, sends a record and reads it back, with what is generated only: use_client BASE_URL
import process from "node:process";
import createClient from "openapi-fetch";
import type {paths} from "./api.js";

const client = createClient<paths>({baseUrl: process.argv[2]});

const created = await client.POST("/v1/topics", {body: {name: "typescript", partitions: 1}});
if (created.error) throw new Error(created.error.detail);

const sent = await client.POST("/v1/topics/{topic}/records", {
    params: {path: {topic: created.data.name}},
    body: {records: [{key: "UA", value: {flight: 1545}}]},
});
if (sent.error) throw new Error(sent.error.detail);

const path = {topic: created.data.name, partition: sent.data?.offsets?.[0]?.partition ?? -1};
const page = await client.GET("/v1/topics/{topic}/partitions/{partition}/records", {
    params: {path, query: {offset: "earliest"}},
});
if (page.error) throw new Error(page.error.detail);
if (!("records" in page.data)) throw new Error("not the JSON that was asked for");
for (const record of page.data.records ?? []) {
    console.log(record.offset, JSON.stringify(record.key), JSON.stringify(record.value));
}

const missing = await client.GET("/v1/topics/{topic}", {params: {path: {topic: "nope"}}});
console.log(missing.error?.error, missing.error?.retriable);
