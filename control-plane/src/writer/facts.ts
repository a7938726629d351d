import type { MemberState } from '@berth/shared/api/fleets'
import type { Observed } from '@berth/shared/observed'
import type { MemberFacts, MemberReport } from '../operations/rules.ts'

/** What a report must answer to count: this deployment, under this operation and attempt, with this release. */
export type Question = {
  readonly deployment: string
  readonly operation: string | null
  readonly attempt: number
  readonly release: string | undefined
}

/** What the members of a fleet, as the cloud names them, say about one deployment. */
export const memberFacts = (
  members: readonly { readonly server: string; readonly state: MemberState }[],
  reports: ReadonlyMap<string, Observed>,
  question: Question
): MemberFacts[] =>
  members.map(({ server, state }) => {
    const report = reports.get(server)
    return { server, healthy: state === 'healthy', report: report && memberReport(report, question) }
  })

const memberReport = (report: Observed, { deployment, operation, attempt, release }: Question): MemberReport => {
  const said = report.deployments.find((one) => one.deployment === deployment)
  if (!said) return { answers: false, routed: null, pool: undefined, reason: undefined, fellBack: false }
  const pool = said.pools.find((one) => one.release === release)
  return {
    answers: said.operation === operation && said.attempt === attempt,
    routed: said.routed,
    pool: pool?.state,
    reason: pool?.reason,
    fellBack:
      said.fallback !== undefined &&
      said.fallback.release === release &&
      said.fallback.operation === operation &&
      said.fallback.attempt === attempt
  }
}
