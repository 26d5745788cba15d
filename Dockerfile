# A broker: docker build -t kafkalite . && docker run -e KAFKALITE_ZOOKEEPER_CONNECT=... kafkalite
# Its settings: configs/server-container.properties, and KAFKALITE_* variables over it.

FROM python:3.12-slim AS build
WORKDIR /source
COPY pyproject.toml README.md LICENSE ./
COPY kafkalite kafkalite
RUN pip install --no-cache-dir --prefix=/installed .

FROM python:3.12-slim
COPY --from=build /installed /usr/local
COPY configs/server-container.properties /etc/kafkalite/server.properties
RUN useradd --system --uid 1000 --home-dir /var/lib/kafkalite --create-home kafkalite
USER kafkalite
WORKDIR /var/lib/kafkalite
VOLUME /var/lib/kafkalite
EXPOSE 9092

HEALTHCHECK --interval=5s --timeout=6s --start-period=60s --retries=3 CMD ["python", "-c", "\
import os, urllib.request; \
port = os.environ.get('KAFKALITE_LISTENERS', ':9092').rsplit(':', 1)[1]; \
urllib.request.urlopen(f'http://localhost:{port}/readyz', timeout=5)"]

# SIGTERM, which `docker stop` sends, ends it cleanly: flushed and marked so.
ENTRYPOINT ["kafkalite", "server", "start"]
CMD ["/etc/kafkalite/server.properties"]
