import type { Sink, Source } from './environment.ts'
import { CliError, usageError } from './errors.ts'

const lineBytesMax = 4096

/** Asks one line of a person at a terminal; a secret one is not echoed. */
export const ask = async (stdin: Source, stderr: Sink, question: string, o: { readonly secret: boolean }): Promise<string> => {
  stderr.write(question)
  stdin.setRawMode?.(true)
  try {
    return await readKeys(stdin, (text) => {
      if (!o.secret) stderr.write(text)
    })
  } finally {
    stdin.setRawMode?.(false)
    stderr.write('\n')
  }
}

/** The first line of what is piped in, for scripts that keep a password somewhere safe. */
export const readLine = async (stdin: Source): Promise<string> => {
  let text = ''
  for await (const chunk of stdin) {
    text += chunk.toString()
    if (text.includes('\n')) break
    if (text.length > lineBytesMax) throw usageError('the line on standard input is too long')
  }
  return text.split('\n')[0]?.replace(/\r$/, '') ?? ''
}

/** In raw mode the keys for corrections arrive as characters: backspace, Ctrl-C, Ctrl-D, Ctrl-U. */
const readKeys = async (stdin: Source, echo: (text: string) => void): Promise<string> => {
  const typed: string[] = []
  const erase = (count: number) => {
    typed.splice(typed.length - count, count)
    echo('\b \b'.repeat(count))
  }
  for await (const chunk of stdin) {
    for (const key of chunk.toString()) {
      if (key === '\r' || key === '\n') return typed.join('')
      if (key === '\u0003' || key === '\u0004') throw new CliError('interrupted', 'interrupted; nothing was changed')
      if (key === '\u0015') erase(typed.length)
      else if (key === '\u007f' || key === '\b') erase(Math.min(1, typed.length))
      else if (key >= ' ') {
        typed.push(key)
        echo(key)
      }
    }
  }
  throw new CliError('interrupted', 'the input ended before the answer; nothing was changed')
}
