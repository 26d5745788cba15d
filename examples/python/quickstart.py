"""Make a topic, send ten records, and read them back: quickstart.py [HOST:PORT]"""

import sys

from kafkalite import AdminClient, Consumer, Producer

servers = sys.argv[1] if len(sys.argv) > 1 else "localhost:9092"

with AdminClient(bootstrap_servers=servers) as admin:
    if "departures" not in [topic.name for topic in admin.list_topics()]:
        admin.create_topic("departures", partitions=3)

with Producer(bootstrap_servers=servers, value_serializer="json") as producer:
    for number in range(10):
        sent = producer.send("departures", {"carrier": "UA", "flight": number}, key=b"UA")
    print("the last one is at", sent.result())

group = {"group_id": "quickstart", "auto_offset_reset": "earliest", "value_deserializer": "json"}
with Consumer("departures", bootstrap_servers=servers, **group) as consumer:
    for record in consumer:
        print(record.partition, record.offset, record.key, record.value)
        if record.value["flight"] == 9:
            break
