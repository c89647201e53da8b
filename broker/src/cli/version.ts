/** What this build calls itself; the same as in package.json (broker/test/tidy.test.ts compares them). */
export const PRODUCT_VERSION = "0.1.0"
