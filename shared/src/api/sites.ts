import { type Static, Type } from 'typebox'
import { Tenancy } from '../birth.ts'
import { HostName, StoreName, Uuid } from '../fields.ts'
import { ListOf, Name, Status } from './common.ts'

/** Without `hostName` the platform makes one of the site's name. */
export const SiteRequest = Type.Object({ name: Name, hostName: Type.Optional(HostName) }, { additionalProperties: false })
export type SiteRequest = Static<typeof SiteRequest>

/** `fleet` is null until the site was placed; `addresses` are what to open in a browser. */
export const Site = Type.Object(
  {
    id: Uuid,
    name: Type.String(),
    region: Type.String(),
    tenancy: Tenancy,
    status: Status,
    hostNames: Type.Array(Type.String()),
    fleet: Type.Union([StoreName, Type.Null()]),
    addresses: Type.Array(Type.String())
  },
  { additionalProperties: false }
)
export type Site = Static<typeof Site>
export const SiteList = ListOf(Site)
export type SiteList = Static<typeof SiteList>
