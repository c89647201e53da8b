// The layers of OpenCMQ, checked. Allowed arrows: main, cli -> adapters -> node -> codec -> core, and skipping downwards.
// A rule in your way means that the design is wrong; to change a rule, write an ADR (house rule 3, ADR 0002).
// tools/layers-selftest.mjs plants one violation of each rule and demands a complaint: add one there with every rule.

const testFile = "[.]test[.]ts$"

/** @type {import("dependency-cruiser").IConfiguration} */
module.exports = {
  forbidden: [
    {
      name: "no-cycles",
      comment: "Two files that need each other are one file, or miss a third one below both.",
      severity: "error",
      from: {},
      to: { circular: true },
    },
    {
      name: "core-imports-core",
      comment: "The core is told everything: no Node, no package, no other layer.",
      severity: "error",
      from: { path: "^broker/src/core/", pathNot: testFile },
      to: { pathNot: "^broker/src/core/" },
    },
    {
      name: "raft-knows-no-queue",
      comment: "Consensus replicates bytes; what they mean is not its business.",
      severity: "error",
      from: { path: "^broker/src/core/raft/", pathNot: testFile },
      to: { path: "^broker/src/core/queue/" },
    },
    {
      name: "queue-knows-no-raft",
      comment: "The machine applies commands; how they got agreed is not its business.",
      severity: "error",
      from: { path: "^broker/src/core/queue/", pathNot: testFile },
      to: { path: "^broker/src/core/raft/" },
    },
    {
      name: "codec-is-pure",
      comment: "Bytes in, values out: only the core's types, Buffer and the checksum.",
      severity: "error",
      from: { path: "^broker/src/codec/", pathNot: testFile },
      to: {
        pathNot: ["^broker/src/(codec|core)/", "^(node:)?(buffer|zlib)$", "node_modules/@node-rs/crc32"],
      },
    },
    {
      name: "node-uses-ports",
      comment: "The node runs the core through ports.ts, so the simulator can hand in its own world.",
      severity: "error",
      from: { path: "^broker/src/node/", pathNot: testFile },
      to: {
        pathNot: ["^broker/src/(node|codec|core)/", "^broker/src/ports[.]ts$", "^proto/", "^(node:)?buffer$"],
      },
    },
    {
      name: "adapters-do-not-meet",
      comment: "An adapter can be taken out or replaced alone; only main.ts and cli/ know two of them.",
      severity: "error",
      from: { path: "^broker/src/adapters/([^/]+)/", pathNot: testFile },
      to: { path: "^broker/src/adapters/", pathNot: "^broker/src/adapters/$1/" },
    },
    {
      name: "adapters-look-down",
      comment: "Adapters are given their options; they know neither the command line nor the composition root.",
      severity: "error",
      from: { path: "^broker/src/adapters/", pathNot: testFile },
      to: { path: "^broker/src/(cli/|main[.]ts$|options[.]ts$)" },
    },
    {
      name: "ports-know-only-core",
      comment: "A port is a promise in the core's words; it names no adapter and no package.",
      severity: "error",
      from: { path: "^broker/src/ports[.]ts$" },
      to: { pathNot: "^broker/src/core/" },
    },
    {
      name: "only-cli-uses-sdk",
      comment: "The command speaks to brokers through the SDK as any stranger does; the broker itself never needs it.",
      severity: "error",
      from: {
        path: "^broker/src/",
        pathNot: ["^broker/src/cli/", "^broker/src/main[.]ts$", testFile],
      },
      to: { path: "^client-sdk/" },
    },
    {
      name: "sdk-is-a-stranger",
      comment: "SDK, demo and bench know a broker over the wire only; that is what proves the public API.",
      severity: "error",
      from: {
        path: "^(client-sdk|demo-redpacket|bench)/",
        pathNot: testFile,
      },
      to: { path: "^broker/" },
    },
    {
      name: "tests-of-strangers",
      comment: "Their tests may start a broker, through its testing entry only.",
      severity: "error",
      from: { path: "^(client-sdk|demo-redpacket|bench)/.*[.]test[.]ts$" },
      to: { path: "^broker/", pathNot: "^broker/(src|dist)/testing[.]" },
    },
    {
      name: "proto-is-the-bottom",
      comment:
        "The contract depends on nobody who signs it; node:crypto is there for the signature, node:buffer for bytes.",
      severity: "error",
      from: { path: "^proto/src/", pathNot: [testFile, "^proto/src/gen/"] },
      to: { pathNot: ["^proto/", "^(node:)?(buffer|crypto)$"] },
    },
    {
      name: "no-planted-bugs",
      comment: "What puts known bugs back is for tests alone.",
      severity: "error",
      from: { path: "^broker/src/", pathNot: testFile },
      to: { path: "^broker/src/adapters/log/mutant-log[.]ts$" },
    },
    {
      name: "no-undeclared",
      comment: "What is imported exists and is declared in the package's own package.json (tools: in the root's).",
      severity: "error",
      from: {},
      to: {
        dependencyTypes: ["unknown", "undetermined", "npm-no-pkg", "npm-unknown"],
      },
    },
    {
      name: "no-dev-tools-in-src",
      comment: "A development tool is not there in the image.",
      severity: "error",
      from: { path: "^[^/]+/src/", pathNot: testFile },
      to: {
        dependencyTypes: ["npm-dev"],
        dependencyTypesNot: ["type-only", "npm", "npm-optional"],
      },
    },
  ],
  options: {
    doNotFollow: { path: "node_modules" },
    // Our own output only: a package under node_modules often lives in a dist/ too, and must stay visible to no-undeclared.
    exclude: { path: "^[^/]+/(dist|dist-test)/" },
    // Type imports are arrows too.
    tsPreCompilationDeps: true,
    tsConfig: { fileName: "tsconfig.base.json" },
    // Tools are declared in the root's package.json, for all packages.
    combinedDependencies: true,
    enhancedResolveOptions: {
      exportsFields: ["exports"],
      conditionNames: ["source", "import", "node", "default"],
    },
  },
}
