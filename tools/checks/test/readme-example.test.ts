import { expect, test } from 'vitest'

import { readmeExample } from '../src/publish/readme-example.ts'

const fence = (info: string, code: string): string => `\`\`\`${info}\n${code}\n\`\`\`\n`

test('takes the first block that is marked as the example', () => {
  const readme = `# Title\n\n${fence('ts', 'not this')}\n${fence('ts example', 'run()')}\n${fence('ts example', 'nor this')}`
  expect(readmeExample(readme)).toEqual({ code: 'run()\n', needs: [], beside: [] })
})

test('knows which servers the example needs, and what is installed beside', () => {
  expect(readmeExample(fence('ts example needs=kinesis,timestream with=@aws-sdk/client-x', 'run()'))).toEqual({
    code: 'run()\n',
    needs: ['kinesis', 'timestream'],
    beside: ['@aws-sdk/client-x'],
  })
})

test('refuses a README without an example, and a fence that it does not understand', () => {
  expect(() => readmeExample(fence('ts', 'run()'))).toThrow('no block')
  expect(() => readmeExample(fence('ts example need kinesis', 'run()'))).toThrow('not understood')
})
