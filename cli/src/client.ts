import { About } from '@berth/shared/api/about'
import { Application, ApplicationList, type ApplicationRequest } from '@berth/shared/api/applications'
import { BuildList } from '@berth/shared/api/builds'
import * as deployments from '@berth/shared/api/deployments'
import { Operation } from '@berth/shared/api/operations'
import { ReleaseList, type RollbackRequest } from '@berth/shared/api/releases'
import { ScheduleItem, ScheduleItemList, type ScheduleItemRequest } from '@berth/shared/api/schedules'
import { Site, SiteList, type SiteRequest } from '@berth/shared/api/sites'
import * as uploads from '@berth/shared/api/uploads'
import { Me, SignInAnswer, type SignInRequest } from '@berth/shared/api/users'
import { VersionList } from '@berth/shared/api/versions'
import { answerParser } from '@berth/shared/parse'
import type { Send } from './transport.ts'

/** What can be asked by anyone, or by a signed-in user before a subscription is chosen. */
export const apiClient = (send: Send) => ({
  about: async () => parse.about(await send({ method: 'GET', path: '/v1/about' })),
  signIn: async (body: SignInRequest) => parse.signIn(await send({ method: 'POST', path: '/v1/sign-in', body })),
  signOut: async () => void (await send({ method: 'DELETE', path: '/v1/session' })),
  me: async () => parse.me(await send({ method: 'GET', path: '/v1/me' })),
  builds: async () => parse.builds(await send({ method: 'GET', path: '/v1/builds' })).items
})
export type ApiClient = ReturnType<typeof apiClient>

/** What can be asked about one subscription. */
export const subscriptionClient = (send: Send, subscription: string) => {
  const at = (path: string) => `/v1/subscriptions/${subscription}${path}`
  const get = (path: string) => send({ method: 'GET', path: at(path) })
  const post = (path: string, body: unknown) => send({ method: 'POST', path: at(path), body })
  return {
    subscription,
    applications: async () => parse.applications(await get('/applications')).items,
    createApplication: async (body: ApplicationRequest) => parse.application(await post('/applications', body)),
    versions: async (application: string) => parse.versions(await get(`/applications/${application}/versions`)).items,

    createUpload: async (application: string, body: uploads.UploadRequest) =>
      parse.uploadCreated(await post(`/applications/${application}/uploads`, body)),
    presignPacks: async (upload: string, body: uploads.UploadPacksRequest) =>
      parse.uploadPacks(await post(`/uploads/${upload}/packs`, body)),
    finishUpload: async (upload: string, body: uploads.UploadFinishRequest) =>
      parse.upload(await post(`/uploads/${upload}/finish`, body)),
    upload: async (upload: string) => parse.upload(await get(`/uploads/${upload}`)),

    sites: async () => parse.sites(await get('/sites')).items,
    createSite: async (body: SiteRequest) => parse.site(await post('/sites', body)),

    deployments: async () => parse.deployments(await get('/deployments')).items,
    createDeployment: async (body: deployments.DeploymentRequest) => parse.deployment(await post('/deployments', body)),
    changeDeployment: async (deployment: string, body: deployments.DeploymentPatch) =>
      parse.deployment(await send({ method: 'PATCH', path: at(`/deployments/${deployment}`), body })),
    status: async (deployment: string) => parse.status(await get(`/deployments/${deployment}/status`)),
    releases: async (deployment: string) => parse.releases(await get(`/deployments/${deployment}/releases`)).items,
    rollback: async (deployment: string, body: RollbackRequest) =>
      parse.operation(await post(`/deployments/${deployment}/rollback`, body)),
    schedule: async (deployment: string, body: ScheduleItemRequest) =>
      parse.scheduleItem(await post(`/deployments/${deployment}/schedule-items`, body)),
    scheduleItems: async (deployment: string) =>
      parse.scheduleItems(await get(`/deployments/${deployment}/schedule-items`)).items,
    operation: async (operation: string) => parse.operation(await get(`/operations/${operation}`))
  }
}
export type SubscriptionClient = ReturnType<typeof subscriptionClient>

const parse = {
  about: answerParser(About, 'the API’s description of itself'),
  signIn: answerParser(SignInAnswer, 'the answer to the sign-in'),
  me: answerParser(Me, 'the user'),
  builds: answerParser(BuildList, 'the builds'),
  applications: answerParser(ApplicationList, 'the applications'),
  application: answerParser(Application, 'the application'),
  versions: answerParser(VersionList, 'the versions'),
  uploadCreated: answerParser(uploads.UploadCreated, 'the new upload'),
  uploadPacks: answerParser(uploads.UploadPacksAnswer, 'the upload’s addresses'),
  upload: answerParser(uploads.Upload, 'the upload'),
  sites: answerParser(SiteList, 'the sites'),
  site: answerParser(Site, 'the site'),
  deployments: answerParser(deployments.DeploymentList, 'the deployments'),
  deployment: answerParser(deployments.Deployment, 'the deployment'),
  status: answerParser(deployments.DeploymentStatus, 'the deployment’s status'),
  releases: answerParser(ReleaseList, 'the releases'),
  scheduleItem: answerParser(ScheduleItem, 'the schedule item'),
  scheduleItems: answerParser(ScheduleItemList, 'the schedule items'),
  operation: answerParser(Operation, 'the operation')
}
