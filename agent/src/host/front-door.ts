import { mkdir } from 'node:fs/promises'
import { callControl } from '@berth/shared/control-socket'
import { readTextIfThere, writeFileAtomic } from '@berth/shared/files'
import { Refusal } from '@berth/shared/refusal'
import { frontFiles, frontSocket } from '../front/files.ts'
import type { FrontStats } from '../front/front.ts'
import { parseTable, parseTableText } from '../front/table.ts'
import type { FrontTable } from './host.ts'

/** The agent's side of the front: commands it while it is up, and leaves it what it will read while it is not. */
export const frontDoor = (serverFolder: string, { answerMsMax = 5000 }: { readonly answerMsMax?: number } = {}) => {
  const files = frontFiles(serverFolder)
  const call = async (method: 'GET' | 'PUT' | 'POST', path: string, body?: unknown) =>
    callControl(await frontSocket(serverFolder), method, path, body, { timeoutMs: answerMsMax })

  const readDisk = async (): Promise<FrontTable | undefined> => {
    const text = await readTextIfThere(files.table)
    return text === undefined ? undefined : parseTableText(text)
  }

  return {
    socket: () => frontSocket(serverFolder),

    observe: async (): Promise<{ table: FrontTable | undefined; frontUp: boolean; frontUntold: boolean }> => {
      // One that is slow to answer is looked at on its disk, which is never behind it; it is not called up.
      const answer = await ifUp(() => call('GET', '/table')).catch((error: unknown) => {
        if (error instanceof Refusal && error.code === 'no_answer') return undefined
        throw error
      })
      if (!answer) return { table: await readDisk(), frontUp: false, frontUntold: false }
      const { table, wasTold } = answer.value as { table: unknown; wasTold: boolean } // our own front's answer
      return { table: table === null ? undefined : parseTable(table), frontUp: true, frontUntold: !wasTold }
    },

    route: async (table: FrontTable): Promise<void> => {
      if (await ifUp(() => call('PUT', '/table', table))) return
      const current = await readDisk()
      if (current && current.generation > table.generation)
        throw new Refusal(
          'stale_table',
          `table ${table.generation} is older than table ${current.generation}; nothing was changed`
        )
      await mkdir(files.folder, { recursive: true, mode: 0o700 })
      await writeFileAtomic(files.table, JSON.stringify(table))
      // A front that opened its socket meanwhile may have read the file before we wrote it.
      await ifUp(() => call('PUT', '/table', table))
    },

    inFlight: async (deployment: string, release: string): Promise<number> => {
      const answer = await ifUp(() => call('GET', '/stats'))
      if (!answer) return 0
      const { pools } = answer.value as FrontStats // our own front's answer
      return pools
        .filter((pool) => pool.deployment === deployment && pool.release === release)
        .reduce((sum, { inFlight }) => sum + inFlight, 0)
    },

    cut: async (deployment: string, release: string): Promise<void> => {
      await ifUp(() => call('POST', '/cut', { deployment, release }))
    }
  }
}

/** Nothing when the front is down; one that is up and slow is not: its requests are under way. Every other failure is the caller's. */
const ifUp = async (call: () => Promise<unknown>): Promise<{ readonly value: unknown } | undefined> => {
  try {
    return { value: await call() }
  } catch (error) {
    if (error instanceof Refusal && error.code === 'unreachable') return undefined
    throw error
  }
}
