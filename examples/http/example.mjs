// Produce, consume in a group, and tail a topic, with the fetch that Node (18 or later) has.
//
//   node example.mjs produce BASE_URL TOPIC
//   node example.mjs consume BASE_URL TOPIC GROUP
//   node example.mjs tail    BASE_URL TOPIC

const V2 = "application/vnd.kafka.v2+json";
const RECONNECT_MS = 1000;

/** The answer to a request; throws what the broker says where it refuses. */
async function ask(method, url, body, headers = {}) {
    const answer = await fetch(url, {
        method,
        headers,
        body: body === undefined ? undefined : JSON.stringify(body),
    });
    if (!answer.ok) {
        const said = `${method} ${url}: ${answer.status} ${await answer.text()}`;
        throw Object.assign(new Error(said), {status: answer.status});
    }
    return answer;
}

async function produce(base, topic) {
    const records = [
        {key: "UA", value: {flight: 1545, dest: "IAH"}},
        {key: "AA", value: {flight: 1141, dest: "MIA"}},
        {key: "B6", value: {flight: 725, dest: "BQN"}},
    ];
    const answer = await ask("POST", `${base}/v1/topics/${topic}/records`, {records}, {
        "Content-Type": "application/json",
    });
    for (const result of (await answer.json()).offsets) {
        if (result.error) throw new Error(`${result.error}: ${result.message}`);
        console.log(JSON.stringify(result));
    }
}

/** Reads what the group has not read yet, until there is nothing more. */
async function consume(base, topic, group) {
    const post = (url, body) => ask("POST", url, body, {"Content-Type": V2});
    const created = await post(`${base}/consumers/${group}`, {
        format: "json",
        "auto.offset.reset": "earliest",
        "enable.auto.commit": false,
    });
    const me = (await created.json()).base_uri;
    try {
        await post(`${me}/subscription`, {topics: [topic]});
        for (;;) {
            const answer = await ask("GET", `${me}/records?timeout=5000`, undefined, {
                Accept: "application/vnd.kafka.json.v2+json",
            });
            const records = await answer.json();
            if (records.length === 0) return;
            for (const record of records) console.log(JSON.stringify(record));
            await post(`${me}/offsets`); // commits all that was delivered
        }
    } finally {
        await ask("DELETE", me); // others get the partitions at once
    }
}

/** Shows new records until it is interrupted; goes on where it was when the connection breaks. */
async function tail(base, topic) {
    let lastId;
    for (;;) {
        try {
            const answer = await ask("GET", `${base}/v1/topics/${topic}/stream`, undefined, {
                Accept: "text/event-stream",
                ...(lastId && {"Last-Event-ID": lastId}),
            });
            for await (const event of serverSentEvents(answer.body)) {
                lastId = event.id ?? lastId;
                if (event.event === "records") {
                    for (const record of JSON.parse(event.data).records) {
                        console.log(JSON.stringify(record));
                    }
                }
            }
        } catch (error) {
            if (error.status < 500) throw error; // it would be refused again
            console.error(`${error.cause?.message ?? error.message}; connecting again`);
        }
        await new Promise(resolve => setTimeout(resolve, RECONNECT_MS));
    }
}

/** What a browser's EventSource does: gives {event, id, data} for each event of a stream. */
async function* serverSentEvents(stream) {
    let unread = "";
    for await (const text of stream.pipeThrough(new TextDecoderStream())) {
        const events = (unread + text).split("\n\n");
        unread = events.pop();
        for (const event of events) {
            yield Object.fromEntries(event.split("\n").map(line => line.split(/: ?(.*)/s, 2)));
        }
    }
}

const [command, base, topic, group] = process.argv.slice(2);
const run = {produce, consume, tail}[command];
if (!run || !base || !topic || (run === consume && !group)) {
    console.error("node example.mjs produce|consume|tail BASE_URL TOPIC [GROUP]");
    process.exit(2);
}
try {
    await run(base.replace(/\/$/, ""), topic, group);
} catch (error) {
    console.error(error.cause?.message ?? error.message);
    process.exitCode = 1;
}
