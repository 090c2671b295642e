export {
  type GraphLifecycleEvent,
  type GraphNotification,
  type GraphNotificationOptions,
  type GraphNotifications,
  type GraphResponse,
  type GraphUserChange,
  type GraphValidation,
  parseGraphNotification,
} from './notifications.ts'
