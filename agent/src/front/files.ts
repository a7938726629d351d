import { join } from 'node:path'
import { socketPathIn } from '@berth/shared/control-socket'

/** Where a front keeps what it must know after a restart. */
export const frontFiles = (serverFolder: string) =>
  ({
    folder: join(serverFolder, 'front'),
    table: join(serverFolder, 'front', 'table.json'),
    /** There once the server has been ready: from then on the public listener is open. */
    opened: join(serverFolder, 'front', 'opened')
  }) as const

/** The front's control socket. */
export const frontSocket = (serverFolder: string): Promise<string> => socketPathIn(frontFiles(serverFolder).folder, 'front')
