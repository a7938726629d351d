import type { IncomingMessage, ServerResponse } from 'node:http'

const pages = {
  400: ['Bad request', 'This request could not be understood.'],
  404: ['Not found', 'There is no site at this address.'],
  501: ['Not supported', 'This transfer coding is not supported.'],
  502: ['The site did not answer', 'The site broke off before it answered. Please try again.'],
  503: ['Not available right now', 'This site is not available right now. Please try again in a moment.']
} as const
export type PageStatus = keyof typeof pages

/** Answers with one of the front's own few pages. An upload that is still arriving ends with its connection. */
export const answerPage = (request: IncomingMessage, response: ServerResponse, status: PageStatus): void => {
  const [title, text] = pages[status]
  const body = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>${title}</title>
<style>body{font:1.1rem/1.5 system-ui,sans-serif;max-width:32rem;margin:20vh auto;padding:0 1rem;color:#333}</style>
<h1>${title}</h1>
<p>${text}</p>
</html>
`
  const headers = {
    'content-type': 'text/html; charset=utf-8',
    'content-length': Buffer.byteLength(body),
    'cache-control': 'no-store',
    ...(status === 503 ? { 'retry-after': '5' } : {})
  }
  if (!request.complete) response.shouldKeepAlive = false
  response.writeHead(status, headers)
  response.end(request.method === 'HEAD' ? undefined : body)
}
