declare module 'snappyjs' {
  const snappyjs: {
    compress(body: Uint8Array): Uint8Array
    uncompress(body: Uint8Array, maxLength?: number): Uint8Array
  }
  export default snappyjs
}
