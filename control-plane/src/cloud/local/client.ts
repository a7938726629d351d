import { callControl } from '@berth/shared/control-socket'
import { HostName, StoreName } from '@berth/shared/fields'
import { parser } from '@berth/shared/parse'
import { Type } from 'typebox'
import type { Cloud } from '../cloud.ts'
import { parseCloudView } from './view.ts'

const parseNames = parser(Type.Record(HostName, StoreName), 'the names')

/** The `cloud` door on this machine: its supervisor, reached by its control socket. */
export const localCloud = ({ socketPath }: { readonly socketPath: string }): Cloud => ({
  putFleet: async (spec) => {
    await callControl(socketPath, 'PUT', '/fleets', spec)
  },
  deleteFleet: async (fleet) => {
    await callControl(socketPath, 'POST', '/fleets/delete', { fleet })
  },
  describeFleet: async (fleet) => {
    const { fleets } = parseCloudView(await callControl(socketPath, 'GET', '/state'))
    const found = fleets[fleet]
    return (
      found && {
        state: found.state,
        balancer: found.balancer,
        members: found.members.map(({ server, zone, state }) => ({ server, zone, state }))
      }
    )
  },
  putName: async (host, fleet) => {
    await callControl(socketPath, 'PUT', '/names', { host, fleet })
  },
  deleteName: async (host) => {
    await callControl(socketPath, 'POST', '/names/delete', { host })
  },
  listNames: async () => parseNames(await callControl(socketPath, 'GET', '/names'))
})
