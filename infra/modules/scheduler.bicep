// Durable Task Scheduler, which stores the durable state in place of the storage account.
param name string
param location string
param tags object
param taskHubName string
param principalId string
@description('false: an administrator assigns the role, with the command that is made from the output.')
param assignRoles bool

var durableTaskDataContributor = '0ad04412-c4d5-4796-b79c-f76d14c8d402'

resource scheduler 'Microsoft.DurableTask/schedulers@2025-11-01' = {
  name: name
  location: location
  tags: tags
  properties: {
    sku: { name: 'Consumption' }
    // With an empty list nobody has access. The role protects the scheduler: it has no keys.
    ipAllowlist: [ '0.0.0.0/0' ]
  }

  resource hub 'taskHubs' = {
    name: taskHubName
  }
}

resource role 'Microsoft.Authorization/roleAssignments@2022-04-01' = if (assignRoles) {
  name: guid(scheduler.id, principalId, durableTaskDataContributor)
  scope: scheduler
  properties: {
    description: 'Durable Task Data Contributor'
    principalId: principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', durableTaskDataContributor)
  }
}

output endpoint string = scheduler.properties.endpoint
output roleAssignments { name: string, scope: string, roleId: string }[] = [
  {
    name: guid(scheduler.id, principalId, durableTaskDataContributor)
    scope: scheduler.id
    roleId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', durableTaskDataContributor)
  }
]
