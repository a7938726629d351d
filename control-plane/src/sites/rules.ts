/** Why this cannot be a host name by DNS's limits; nothing when it can. */
export const whyNotHostName = (host: string): string | undefined => {
  const labels = host.split('.')
  if (host.length > 253) return `it has ${host.length} characters; 253 is the most`
  if (labels.length > 127) return `it has ${labels.length} labels; 127 is the most`
  const bad = labels.find((label) => !/^[a-z0-9]([a-z0-9-]*[a-z0-9])?$/.test(label) || label.length > 63)
  if (bad === undefined) return undefined
  return bad.length > 63
    ? `the label ${bad.slice(0, 16)}… has ${bad.length} characters; 63 is the most`
    : `the label ${JSON.stringify(bad)} is not letters, digits and inner hyphens`
}

const labelMax = 40

/** A name that people gave, as a DNS label; `site` when nothing of it can stay. */
export const labelOf = (name: string): string => {
  const label = name
    .normalize('NFKD')
    .toLowerCase()
    .replace(/\p{M}/gu, '')
    .replace(/[^a-z0-9]+/g, '-')
    .slice(0, labelMax)
    .replace(/^-+|-+$/g, '')
  return label === '' ? 'site' : label
}

/** Where a host name is reached; the port is left out where browsers know it. */
export const addressOf = (
  host: string,
  { scheme, port }: { readonly scheme: 'http' | 'https'; readonly port: number }
): string => (port === (scheme === 'http' ? 80 : 443) ? `${scheme}://${host}` : `${scheme}://${host}:${port}`)
