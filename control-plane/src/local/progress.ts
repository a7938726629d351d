/** What a person sees while the system starts: one calm line a step, with how long it took. */
export type Progress = {
  readonly step: <T>(title: string, work: () => Promise<T>) => Promise<T>
  readonly line: (text: string) => void
}

/** On a terminal the running step is shown while it runs; elsewhere each step is one line when it is done. */
export const makeProgress = (out: { write: (text: string) => unknown; isTTY?: boolean }, now: () => number): Progress => ({
  line: (text) => void out.write(`${text}\n`),
  step: async (title, work) => {
    const startedAt = now()
    if (out.isTTY) out.write(`  … ${title}`)
    try {
      const result = await work()
      out.write(`${out.isTTY ? '\r' : ''}  ✓ ${title.padEnd(44)} ${seconds(now() - startedAt)}\n`)
      return result
    } catch (error) {
      out.write(`${out.isTTY ? '\r' : ''}  ✗ ${title}\n`)
      throw error
    }
  }
})

const seconds = (ms: number): string => `${(ms / 1000).toFixed(1)} s`
