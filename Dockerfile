# Daicho with every extra: the server, the console, S3, DynamoDB. docs/deployment.md says how it is run.
FROM python:3.13-slim AS build
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

FROM python:3.13-slim
# A number, so that an engine told to refuse root can see that it is not root.
RUN useradd --uid 10001 --user-group --no-create-home --shell /usr/sbin/nologin daicho \
    && install -d -o daicho -g daicho /var/lib/daicho /var/lib/daicho/contexts
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
HEALTHCHECK --interval=5s --timeout=5s --start-period=60s --retries=6 CMD ["python", "-c", "import http.client, os; c = http.client.HTTPConnection('127.0.0.1', int(os.environ.get('DAICHO_PORT', 8765)), timeout=4); c.request('GET', '/health'); raise SystemExit(c.getresponse().status != 200)"]
ENTRYPOINT ["daicho"]
CMD ["serve"]
