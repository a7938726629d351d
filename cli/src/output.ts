import type { Environment, Sink } from './environment.ts'
import type { CliError } from './errors.ts'
import { oneLine } from './text.ts'

/** Where a command says what it has to say: results on stdout, all else on stderr; with `--json` nothing but JSON on either. */
export const outputTo = ({ stdout, stderr, clock }: Pick<Environment, 'stdout' | 'stderr' | 'clock'>, json: boolean) => {
  const progress = progressLine({ stderr, clock, silent: json })
  let drawnLines = 0
  /** What is written next stands below all that was drawn. */
  const goOn = () => {
    progress.clear()
    drawnLines = 0
  }
  return {
    json,
    /** The command's result, once: as one JSON document, or in words. */
    result: (value: unknown, words: string) => {
      goOn()
      stdout.write(`${json ? JSON.stringify(value) : safe(words)}\n`)
    },
    /**
     * The state of something that is being watched: one line of JSON each time; on a terminal in the place of the one
     * before, elsewhere below it.
     */
    redraw: (value: unknown, words: string) => {
      if (json) return void stdout.write(`${JSON.stringify(value)}\n`)
      if (!stdout.isTTY) return void stdout.write(`${safe(words)}\n\n`)
      const lines = fitted(safe(words).split('\n'), stdout)
      const back = drawnLines > 0 ? `\u001b[${drawnLines}A\u001b[0J` : ''
      stdout.write(`${back}${lines.join('\n')}\n`)
      drawnLines = lines.length
    },
    /** What happens on the way, for people. */
    note: (words: string) => {
      if (json) return
      goOn()
      stderr.write(`${oneLine(words)}\n`)
    },
    /** What should be known though the command goes on. */
    warning: (code: string, message: string) => {
      goOn()
      stderr.write(json ? `${JSON.stringify({ warning: code, message })}\n` : `berth: ${oneLine(message)}\n`)
    },
    error: ({ code, message, field, requestId }: CliError) => {
      goOn()
      if (json) return void stderr.write(`${JSON.stringify({ code, message, field, requestId })}\n`)
      stderr.write(`berth: ${oneLine(message)}${requestId === undefined ? '' : ` [request ${oneLine(requestId)}]`}\n`)
    },
    progress
  }
}
export type Output = ReturnType<typeof outputTo>

/** Words may hold names from elsewhere; only our own line ends stay what they are. */
const safe = (words: string): string => words.split('\n').map(oneLine).join('\n')

/** A terminal that does not say how wide it is says 0. */
const widthOf = ({ columns }: Sink): number => (columns || 80) - 1

/** What a terminal can draw again in place: no line that wraps, and no more lines than it shows. */
const fitted = (lines: readonly string[], terminal: Sink): string[] => {
  const most = (terminal.rows || 24) - 1
  const shown = lines.length <= most ? lines : [...lines.slice(0, most - 1), `… ${lines.length - most + 1} more lines`]
  return shown.map((line) => line.slice(0, widthOf(terminal)))
}

/** Long work, told calmly: one line that is redrawn on a terminal, a plain line now and then elsewhere. */
export type Progress = { readonly show: (words: string) => void; readonly clear: () => void }

const redrawEveryMs = 100
const lineEveryMs = 5000

const progressLine = (o: Pick<Environment, 'stderr' | 'clock'> & { readonly silent: boolean }): Progress => {
  if (o.silent) return { show: () => undefined, clear: () => undefined }
  const { stderr, clock } = o
  // Elsewhere than on a terminal, short work needs no line at all.
  let shownAt = stderr.isTTY ? 0 : clock.now().getTime()
  let isDrawn = false
  return {
    show: (words) => {
      const now = clock.now().getTime()
      if (now - shownAt < (stderr.isTTY ? redrawEveryMs : lineEveryMs)) return
      shownAt = now
      if (!stderr.isTTY) return void stderr.write(`${oneLine(words)}\n`)
      stderr.write(`\r\u001b[2K${oneLine(words).slice(0, widthOf(stderr))}`)
      isDrawn = true
    },
    clear: () => {
      if (isDrawn) stderr.write('\r\u001b[2K')
      isDrawn = false
    }
  }
}
