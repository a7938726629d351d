/** The most that one list answers; paging comes when somebody has more. */
export const listMax = 1000
/** The most of what only grows, newest first. */
export const historyMax = 200
