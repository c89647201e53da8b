/**
 * Wrote the files in v1/, once: `node --conditions=source --import tsx broker/test/golden/log/make-v1.ts <directory>`.
 * The files are what a released version wrote; they are never made again for the same version.
 */
import { mkdirSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { CrashDisk } from "../../log/crash-disk.ts"
import { LogFixture, writeOf } from "../../log/log-fixture.ts"

const target = process.argv[2]
if (target === undefined) throw new Error("say where to write")
const disk = new CrashDisk()
const fixture = LogFixture.open(disk)
fixture.write(
  writeOf({ sequence: 1, term: 1, votedFor: 2, from: 1, count: 40, bytes: 1500 }),
  writeOf({ sequence: 2, term: 2, votedFor: 2, from: 31, count: 5, bytes: 40, commitIndex: 30 }),
  writeOf({ sequence: 3, term: 3, votedFor: 2, from: 35, count: 2, bytes: 40, commitIndex: 34 }),
)
disk.run()
fixture.log.compact(20, 1)
fixture.call((done) => {
  fixture.log.rewrite(1, [3, 11], done)
})
fixture.close()
mkdirSync(target, { recursive: true })
for (const path of disk.paths()) {
  if (path.endsWith(".seg") || path.includes("hard-state")) {
    writeFileSync(join(target, path.replace("log/", "")), disk.content(path))
  }
}
