# Daicho with every extra: the server, the console, S3, DynamoDB. docs/deployment.md says how it is run.
FROM python:3.13-slim-trixie AS build
WORKDIR /build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1
COPY constraints.txt pyproject.toml README.md ./
COPY src src
# Wheels only: what would need a compiler fails here, not in the image that has none.
RUN --mount=type=cache,target=/root/.cache/pip \
    python -m venv /opt/daicho \
    && pip install --only-binary=:all: -c constraints.txt hatchling \
    && python -m hatchling build -t wheel -d /wheels \
    && /opt/daicho/bin/pip install --only-binary=:all: -c constraints.txt "$(echo /wheels/daicho-*.whl)[all]"

# pg_dump and pg_restore for backups, of the server's own version: what a later one writes, version 16 does
# not take back without an error. With their libraries they are 15 MB; the system's are left to the image.
FROM postgres:16-trixie AS postgres
RUN mkdir -p /client/bin /client/lib \
    && cp /usr/lib/postgresql/16/bin/pg_dump /usr/lib/postgresql/16/bin/pg_restore /client/bin/ \
    && ldd /client/bin/* | awk '$3 ~ "^/" {print $3}' | grep -Ev '/lib(c|m|dl|rt|pthread|resolv)[.]so' \
    | sort -u | xargs cp -Lt /client/lib

FROM python:3.13-slim-trixie
# A number, so that an engine told to refuse root can see that it is not root.
RUN useradd --uid 10001 --user-group --no-create-home --shell /usr/sbin/nologin daicho \
    && install -d -o daicho -g daicho /var/lib/daicho /var/lib/daicho/contexts /var/lib/daicho/backups \
    && for name in pg_dump pg_restore; do \
    printf '#!/bin/sh\nLD_LIBRARY_PATH=/opt/postgresql/lib exec /opt/postgresql/bin/%s "$@"\n' "$name" \
    > "/usr/local/bin/$name" && chmod 755 "/usr/local/bin/$name"; done
COPY --from=postgres /client /opt/postgresql
COPY --from=build /opt/daicho /opt/daicho
ENV PATH=/opt/daicho/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    DAICHO_CONTEXTS=/var/lib/daicho/contexts
USER 10001:10001
WORKDIR /var/lib/daicho
EXPOSE 8765
STOPSIGNAL SIGTERM
# http.client, because urllib would take a proxy that the engine has set for the container.
HEALTHCHECK --interval=5s --timeout=5s --start-period=60s --retries=6 CMD ["python", "-c", "import http.client, os; c = http.client.HTTPConnection('127.0.0.1', int(os.environ.get('DAICHO_PORT', 8765)), timeout=4); c.request('GET', '/health/ready'); raise SystemExit(c.getresponse().status != 200)"]
ENTRYPOINT ["daicho"]
CMD ["serve"]
