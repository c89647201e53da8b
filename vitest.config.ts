import { defineConfig } from "vitest/config"

export default defineConfig({
  // Workspace packages are read from their sources, so nothing has to be built before a test runs.
  // `resolve.conditions` alone is not enough for tests that run in Node.
  ssr: { resolve: { conditions: ["source", "module", "node", "development|production"] } },
  test: {
    // Every test imports `test` and `expect` by name.
    globals: false,
    // The reference machine has two cores.
    maxWorkers: 2,
    exclude: ["**/node_modules/**", "**/dist/**"],
    projects: [
      {
        extends: true,
        test: {
          name: "unit",
          include: ["{proto,client-sdk,demo-redpacket,bench}/**/*.test.ts", "broker/{src,test}/**/*.test.ts"],
          exclude: ["**/node_modules/**", "**/dist/**", "broker/test/sim/**", "broker/test/cluster/**"],
          testTimeout: 60_000,
          hookTimeout: 60_000,
          sequence: { groupOrder: 0 },
        },
      },
      {
        extends: true,
        test: {
          name: "sim",
          include: ["broker/test/sim/**/*.test.ts"],
          testTimeout: 600_000,
          hookTimeout: 60_000,
          sequence: { groupOrder: 1 },
        },
      },
      {
        // Real processes on real disks. Two files at a time: they mostly wait, and each has ports and folders of its own.
        extends: true,
        test: {
          name: "cluster",
          include: ["broker/test/cluster/**/*.test.ts"],
          // After everything else: real processes need the two cores for themselves.
          sequence: { groupOrder: 2 },
          testTimeout: 300_000,
          hookTimeout: 120_000,
        },
      },
    ],
  },
})
