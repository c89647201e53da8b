# OpenCMQ broker. Two stages: one that installs and compiles, one that holds only what runs.
# tools/image-dry-run.mjs carries out these same steps in an empty folder where there is no container engine: keep RUN
# lines free of absolute paths, or add them to its list of skipped steps.

FROM node:20-bookworm-slim AS build
WORKDIR /opt/opencmq

# Packages first: this layer is kept as long as no package.json and no lock file changes. npm ci wants to see every
# workspace that the lock file names, also those that are not installed.
COPY .npmrc package.json package-lock.json ./
COPY proto/package.json proto/
COPY client-sdk/package.json client-sdk/
COPY broker/package.json broker/
COPY demo-redpacket/package.json demo-redpacket/
COPY bench/package.json bench/
RUN npm ci --include=dev --workspace broker --workspace client-sdk --workspace proto --include-workspace-root

COPY tsconfig.base.json ./
COPY proto proto
COPY client-sdk client-sdk
COPY broker broker
RUN node node_modules/typescript/bin/tsc -b broker

# What runs needs no compiler, no sources and no binaries of other platforms (uWebSockets.js brings 257 MB of them).
RUN npm ci --omit=dev --workspace broker --workspace client-sdk --workspace proto
COPY tools/trim-image.mjs tools/
RUN node tools/trim-image.mjs

FROM node:20-bookworm-slim
LABEL org.opencontainers.image.title="OpenCMQ" org.opencontainers.image.licenses="Apache-2.0"
ENV NODE_ENV=production
ENV OPENCMQ_DATA_DIR=/var/lib/opencmq
# One heap for all threads of the process: what one gives back, the others use (ADR 0017).
ENV MALLOC_ARENA_MAX=1
# A container's own network; `-p` and the cluster's network say who reaches it.
ENV OPENCMQ_HTTP_HOST=0.0.0.0
ENV OPENCMQ_GRPC_HOST=0.0.0.0
ENV OPENCMQ_PEER_HOST=0.0.0.0
ENV OPENCMQ_TCP_HOST=0.0.0.0
RUN install -d -o node -g node -m 0750 /var/lib/opencmq
WORKDIR /opt/opencmq
COPY --from=build /opt/opencmq/package.json ./
COPY --from=build /opt/opencmq/node_modules node_modules
COPY --from=build /opt/opencmq/proto proto
COPY --from=build /opt/opencmq/client-sdk client-sdk
COPY --from=build /opt/opencmq/broker broker

USER node
VOLUME ["/var/lib/opencmq"]
# HTTP, gRPC, peers, CMQ's TCP protocol.
EXPOSE 7070 7071 7072 7073
# SIGTERM hands leadership over, answers waiting polls, flushes and exits 0.
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s --retries=3 CMD ["node", "/opt/opencmq/broker/dist/main.js", "healthcheck"]
ENTRYPOINT ["node", "/opt/opencmq/broker/dist/main.js", "server"]
