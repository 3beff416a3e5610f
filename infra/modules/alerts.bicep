// An action group, and alert rules of Azure Monitor on what the app and its host log.
param actionGroupName string
param location string
param tags object
@description('Who gets the alerts; empty: nobody, until receivers are added to the action group.')
param email string
param componentId string
param poisonQueueName string

// What the queries read: the line that the app logs at each change of a restore's status, and a warning of the host.
var statusLines = loadTextContent('../queries/status-lines.kql')

var rules = [
  {
    name: 'restore-failed'
    title: 'A restore failed'
    description: 'GET /api/restores/{id} has the error, docs/runbook.md says what to do.'
    severity: 1
    query: '${statusLines}${loadTextContent('../queries/alert-restore-failed.kql')}'
    dimensions: [ 'RestoreId', 'VirtualMachine', 'Status', 'ErrorCode' ]
    window: 'PT15M'
  }
  {
    name: 'restore-waits-for-approval'
    title: 'A restore waits for a person'
    description: 'POST /api/restores/{id}/approve or /reject decides. Without a decision the restore ends as Rejected.'
    severity: 2
    query: '${statusLines}${loadTextContent('../queries/alert-restore-waits-for-approval.kql')}'
    dimensions: [ 'RestoreId', 'VirtualMachine' ]
    // A day, so that the decision resolves the alert. A restore that waits for longer is no longer seen by this rule.
    window: 'P1D'
  }
  {
    name: 'message-in-poison-queue'
    title: 'A restore request reached the poison queue'
    description: 'The host tried a message five times and moved it to ${poisonQueueName}. Its log says why.'
    severity: 1
    query: loadTextContent('../queries/alert-message-in-poison-queue.kql')
    dimensions: [ 'Queue' ]
    window: 'PT15M'
  }
]

resource actionGroup 'Microsoft.Insights/actionGroups@2023-01-01' = {
  name: actionGroupName
  location: 'global'
  tags: tags
  properties: {
    enabled: true
    groupShortName: 'vm-restore'
    emailReceivers: empty(email) ? [] : [ { name: 'email', emailAddress: email, useCommonAlertSchema: true } ]
  }
}

resource alerts 'Microsoft.Insights/scheduledQueryRules@2026-03-01' = [for rule in rules: {
  name: rule.name
  location: location
  tags: tags
  kind: 'LogAlert'
  properties: {
    displayName: rule.title
    description: rule.description
    severity: rule.severity
    enabled: true
    scopes: [ componentId ]
    // The component is seconds old at the first deployment, and Azure may not know its tables yet. The tests check the
    // queries with Microsoft's own checker instead.
    skipQueryValidation: true
    // The window is longer than the frequency, because lines arrive minutes late. Each restore alerts once: its alert is
    // still open when the next evaluation finds the same line.
    evaluationFrequency: 'PT5M'
    windowSize: rule.window
    autoMitigate: true
    criteria: {
      allOf: [
        {
          query: rule.query
          timeAggregation: 'Count'
          operator: 'GreaterThan'
          threshold: 0
          dimensions: [for dimension in rule.dimensions: { name: dimension, operator: 'Include', values: [ '*' ] }]
          failingPeriods: { numberOfEvaluationPeriods: 1, minFailingPeriodsToAlert: 1 }
        }
      ]
    }
    actions: { actionGroups: [ actionGroup.id ] }
  }
}]
