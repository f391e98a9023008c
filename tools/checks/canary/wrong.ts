// Never part of a build: the type check has to refuse every statement here.
interface Options {
  readonly limit?: number
}

export const text: number = 'not a number'

export const explicit: Options = { limit: undefined }

// @ts-expect-error nothing is wrong in the next line, which is an error
export const right: number = 1
