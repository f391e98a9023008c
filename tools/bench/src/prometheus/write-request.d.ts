/** Encode functions of pbjs for plain objects. */
export declare const prometheus: {
  readonly WriteRequest: {
    encode(message: {
      readonly timeseries: readonly {
        readonly labels: readonly { readonly name: string; readonly value: string }[]
        readonly samples: readonly { readonly value: number; readonly timestamp: number }[]
      }[]
    }): { finish(): Uint8Array }
  }
}
