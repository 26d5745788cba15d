"""Produces JSON and waits for it with a client of version 2: BASE_URL"""

import json
import sys

from kafka_rest.kafka_rest import Consumer, Producer

URL = sys.argv[1]

producer = Producer(kafka_rest_api_url=URL, topic_id="nlp-response")
keys = producer.produce(["text", {"b": 1}], "endpoint")
with Consumer(kafka_rest_api_url=URL, topic_id="nlp") as consumer:
    pages = consumer.consume_all(keys, interval_sec=0)
found = {record["key"]: record["value"] for page in pages for record in page}
print(json.dumps([found[key] for key in keys]))
