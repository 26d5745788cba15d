"""Makes a topic, sends a record and reads it back, with what is generated only: BASE_URL"""

import json
import sys

from kafkalite_http import Client
from kafkalite_http.api.records import produce_records, read_records
from kafkalite_http.api.topics import create_topic, describe_topic
from kafkalite_http.models import (
    CreateTopicBody,
    NewRecords,
    Problem,
    Record,
    RecordResults,
    RecordsPage,
    TopicDescription,
)

client = Client(base_url=sys.argv[1])

created = create_topic.sync(client=client, body=CreateTopicBody(name="python", partitions=1))
assert isinstance(created, TopicDescription), created

record = Record.from_dict({"key": "UA", "value": {"flight": 1545}})
sent = produce_records.sync(created.name, client=client, body=NewRecords(records=[record]))
assert isinstance(sent, RecordResults), sent

page = read_records.sync(created.name, 0, client=client, offset="earliest")
assert isinstance(page, RecordsPage), page
for read in page.records or []:
    print(read.offset, json.dumps(read.key), json.dumps(read.value))

missing = describe_topic.sync("nope", client=client)
assert isinstance(missing, Problem)
print(missing.error, json.dumps(missing.retriable))
