import type { BuildPointer } from '@berth/shared/api/builds'

/** A build as other objects name it. */
export const pointToBuild = ({ id, name, version, platform }: BuildPointer): BuildPointer => ({ id, name, version, platform })
