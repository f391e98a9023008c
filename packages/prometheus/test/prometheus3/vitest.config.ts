import { defineConfig } from 'vitest/config'

// Run by `npm run test:prometheus3` alone: what it needs is built from source first.
export default defineConfig({
  test: {
    include: ['test/prometheus3/*.spec.ts'],
    testTimeout: 120_000,
    maxWorkers: 1,
  },
})
