import { defineConfig } from 'vitest/config'
import type { Reporter, TestCase, TestSuite } from 'vitest/node'

// The json reporter writes a test's `meta`, and neither the note of `context.skip(note)` nor what a failed hook said.
const notes: Reporter = {
  onTestCaseResult(testCase: TestCase) {
    const result = testCase.result()
    if (result.state === 'skipped' && result.note !== undefined) {
      Object.assign(testCase.meta(), { skipReason: result.note })
    }
  },
  onTestSuiteResult(suite: TestSuite) {
    const [error] = suite.errors()
    if (error === undefined) return
    for (const testCase of suite.children.allTests()) Object.assign(testCase.meta(), { hookError: error.message })
  },
}

// Shared by every package: `vitest run --config ../../tools/vitest.config.ts --root .`
export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    passWithNoTests: true,
    reporters: [notes, 'default', 'json'],
    outputFile: { json: 'test-results.json' },
    testTimeout: 60_000,
    hookTimeout: 60_000,
    maxWorkers: 2,
  },
})
