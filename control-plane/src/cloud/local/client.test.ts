import { cloudContract } from '../contract.ts'
import { specOf, testCloud } from './testing/cloud.ts'
import { ask } from './testing/requests.ts'

const make = async () => {
  const local = await testCloud()
  const fleetAnswering = async (name: string) => {
    const { status, body } = await ask({ host: '127.0.0.1', port: local.httpPort, name })
    if (status !== 200) return undefined
    const { server } = JSON.parse(body)
    const { fleets } = await local.view()
    return Object.keys(fleets).find((fleet) => fleets[fleet]?.members.some((member) => member.server === server))
  }
  return {
    cloud: local.cloud,
    specOf: async (fleet: string, servers: number) => {
      await local.addKey(fleet)
      return specOf(fleet, servers)
    },
    fleetAnswering,
    end: local.end
  }
}

cloudContract('local', make, { deadlineMs: 30_000 })
