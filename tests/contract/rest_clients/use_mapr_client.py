"""Produces, subscribes, seeks and begins again with a client of version 2: BASE_URL"""

import json
import logging
import sys

from pymapr_kafkarest.kafkarest import MaprKlient, MaprKProducer

URL = sys.argv[1] + "/"

logging.disable()
producer = MaprKProducer(URL, headers={})
producer.produce([{"key": "k", "value": {"n": 1}}], topic="mapr")
client = MaprKlient(URL, "mapr", headers={}, topics=["mapr"], instance="one", follow_base_uri=True)
client.connect()
client.subscribe()
# The producer sends what has gone well once more for each time that it may try again.
said = {
    "read": [record["value"] for record in client.consume()],
    "from the beginning": [record["offset"] for record in client.consume(seek=True)],
    "from a position": [record["offset"] for record in client.consume(position=2)],
}
client.connect(clear=True)
client.subscribe()
said["of another instance"] = [record["offset"] for record in client.consume()]
print(json.dumps(said))
