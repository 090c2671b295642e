import { randomUUID } from 'node:crypto'

export const DIRECTORY = '84bd8158-6d4d-4958-8b9f-9d6445542f95'

/** A notification about a user, with the members that Graph sends. `undefined` leaves one out. */
export function userNotification(
  objectId: string,
  clientState: string,
  changes: Record<string, unknown> = {},
): Record<string, unknown> {
  return {
    changeType: 'updated',
    clientState,
    resource: `Users/${objectId}`,
    resourceData: {
      '@odata.type': '#Microsoft.Graph.User',
      '@odata.id': `Users/${objectId}`,
      id: objectId,
      organizationId: DIRECTORY,
      sequenceNumber: 636784480202455800,
    },
    subscriptionExpirationDateTime: '2026-03-20T11:00:00.0000000+00:00',
    subscriptionId: randomUUID(),
    tenantId: DIRECTORY,
    ...changes,
  }
}

/** A lifecycle notification, with the members that Graph sends. */
export function lifecycleNotification(
  lifecycleEvent: string,
  subscriptionId: string,
  clientState: string,
): Record<string, unknown> {
  return {
    subscriptionId,
    subscriptionExpirationDateTime: '2026-03-20T11:00:00.0000000+00:00',
    tenantId: DIRECTORY,
    clientState,
    lifecycleEvent,
  }
}
