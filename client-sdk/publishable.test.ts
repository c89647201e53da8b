/** The light half of `npm run publishable`: size, dependencies, and that the files that are promised are the ones made. */
import { readFileSync } from "node:fs"
import { expect, test } from "vitest"

interface Weight {
  readonly bytes: number
  readonly budgetBytes: number
  readonly foreign: readonly string[]
}

const tool = (await import(new URL("../tools/weigh-sdk.mjs", import.meta.url).href)) as {
  readonly weighSdk: (entry?: string) => Promise<Weight>
}
const manifest = JSON.parse(readFileSync(new URL("package.json", import.meta.url), "utf8")) as {
  readonly dependencies: Readonly<Record<string, string>>
  readonly exports: Readonly<Record<string, Readonly<Record<"source" | "import" | "require", unknown>>>>
}

test("the SDK needs no package but our own, and keeps within its size budget", async () => {
  const { bytes, budgetBytes, foreign } = await tool.weighSdk()
  expect(foreign).toEqual([])
  expect(Object.keys(manifest.dependencies)).toEqual(["@opencmq/proto"])
  expect(bytes).toBeLessThanOrEqual(budgetBytes)
  expect(bytes).toBeGreaterThan(10_000)
})

test.for(Object.entries(manifest.exports))(
  "%s has sources, and both module systems beside each other",
  ([, target]) => {
    const stem = /^\.\/src\/(.+)\.ts$/.exec(String(target.source))?.[1] ?? "?"
    expect(target.import).toEqual({ types: `./dist/${stem}.d.ts`, default: `./dist/${stem}.js` })
    expect(target.require).toEqual({ types: `./dist/cjs/${stem}.d.ts`, default: `./dist/cjs/${stem}.js` })
  },
)
