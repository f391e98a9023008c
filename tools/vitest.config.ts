import { defineConfig } from 'vitest/config'
import type { Reporter, TestCase } from 'vitest/node'

// The json reporter writes a test's `meta`, and not the note of `context.skip(note)`: the summary shows the note.
const skipReasons: Reporter = {
  onTestCaseResult(testCase: TestCase) {
    const result = testCase.result()
    if (result.state === 'skipped' && result.note !== undefined) {
      Object.assign(testCase.meta(), { skipReason: result.note })
    }
  },
}

// Shared by every package: `vitest run --config ../../tools/vitest.config.ts --root .`
export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    passWithNoTests: true,
    reporters: [skipReasons, 'default', 'json'],
    outputFile: { json: 'test-results.json' },
    testTimeout: 20_000,
    hookTimeout: 60_000,
    maxWorkers: 2,
  },
})
