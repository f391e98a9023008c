/** What one published package may stand on. `thirdParty` also covers what those packages bring along themselves. */
export interface PackageRule {
  readonly sluice: readonly string[]
  readonly thirdParty: readonly RegExp[]
}

// Everything of the AWS SDK but its clients: a connector gets the one client that it talks with, and no other.
const AWS_SDK = [/^@aws-sdk\/(?!client-)/, /^@aws\//, /^@smithy\//, /^bowser$/, /^tslib$/]

/**
 * Which way imports point, and what an install of one package alone may bring. Every published package has a line;
 * arrows point down only: sources and sinks stand on `aws` and `core`, never on each other.
 */
export const PACKAGE_RULES: Readonly<Record<string, PackageRule>> = {
  '@sluice/core': { sluice: [], thirdParty: [] },
  '@sluice/aws': { sluice: ['@sluice/core'], thirdParty: [...AWS_SDK, /^undici$/] },
  '@sluice/kinesis': {
    sluice: ['@sluice/core', '@sluice/aws'],
    thirdParty: [...AWS_SDK, /^undici$/, /^@aws-sdk\/client-kinesis$/],
  },
  '@sluice/timestream': {
    sluice: ['@sluice/core', '@sluice/aws'],
    thirdParty: [...AWS_SDK, /^undici$/, /^@aws-sdk\/client-timestream-write$/, /^(mnemonist|obliterator)$/],
  },
  '@sluice/prometheus': {
    sluice: ['@sluice/core'],
    thirdParty: [/^(protobufjs|snappyjs|hysnappy|undici|long)$/, /^@protobufjs\//],
  },
  '@sluice/timestream-local': { sluice: [], thirdParty: [/^@duckdb\//, /^detect-libc$/] },
}

/** The private package that starts servers for tests. Published code never imports it. */
export const TESTKIT = '@sluice/testkit'
export const TESTKIT_RULE: PackageRule = { sluice: ['@sluice/timestream-local'], thirdParty: [/^/] }

/** Beside its own rule, the tests of a package may use these. */
export const TEST_HELPERS: readonly string[] = [TESTKIT, '@sluice/timestream-local']
