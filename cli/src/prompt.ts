import type { Sink, Source } from './environment.ts'
import { CliError, usageError } from './errors.ts'

const lineBytesMax = 4096

/** A person at a terminal, to be asked one line after the other. `close` lets go of the terminal. */
export const keyboard = (stdin: Source, stderr: Sink) => {
  // One reader for all questions: what was typed ahead must not be lost between two of them.
  const chunks = stdin[Symbol.asyncIterator]()
  let ahead: string[] = []

  const nextKey = async (): Promise<string> => {
    while (ahead.length === 0) {
      const { done, value } = await chunks.next()
      if (done) throw new CliError('interrupted', 'the input ended before the answer; nothing was changed')
      ahead = [...value.toString()]
    }
    return ahead.shift() ?? ''
  }

  return {
    /** Asks one line; a secret one is not echoed. */
    ask: async (question: string, o: { readonly secret: boolean }): Promise<string> => {
      // First, so that not even the first key is echoed by the terminal itself.
      stdin.setRawMode?.(true)
      try {
        stderr.write(question)
        return await readKeys(nextKey, (text) => {
          if (!o.secret) stderr.write(text)
        })
      } finally {
        stdin.setRawMode?.(false)
        stderr.write('\n')
      }
    },
    close: async (): Promise<void> => void (await chunks.return?.())
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
const readKeys = async (nextKey: () => Promise<string>, echo: (text: string) => void): Promise<string> => {
  const typed: string[] = []
  const erase = (count: number) => {
    typed.splice(typed.length - count, count)
    echo('\b \b'.repeat(count))
  }
  for (;;) {
    const key = await nextKey()
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
