import type { DesiredSite } from '@berth/shared/desired'
import type { ServerDesired } from '../plan/state.ts'

/** The sites of a body as one list of deployments, each with where its site is shown. */
export const serverDesired = (sites: readonly DesiredSite[]): ServerDesired =>
  Object.fromEntries(
    sites.flatMap(({ subscription, hostNames, deployments }) =>
      deployments.map((deployment) => [deployment.deployment, { ...deployment, subscription, hostNames }])
    )
  )
