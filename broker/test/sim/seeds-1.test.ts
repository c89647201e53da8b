import { testSeeds } from "./seeds-under-test.ts"

testSeeds(1, 200)
