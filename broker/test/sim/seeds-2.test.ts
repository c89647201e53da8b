import { testSeeds } from "./seeds-under-test.ts"

testSeeds(201, 200)
