/**
 * What the service takes as the name of a database or a table.
 *
 * See https://docs.aws.amazon.com/timestream/latest/developerguide/API_CreateTable.html
 */
export const RESOURCE_NAME: { readonly pattern: RegExp; readonly says: string } = {
  pattern: /^[\w.-]{3,256}$/,
  says: "a name of 3 to 256 letters, digits, '_', '.' or '-'",
}
