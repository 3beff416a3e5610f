// The account for AzureWebJobsStorage: the app's queues, the durable state, the host's locks and keys, the code. It
// refuses shared keys: only identities that have a role can use it.
param name string
param location string
param tags object
param containerName string
param queueNames string[]
@description('false: the account is reached through private endpoints alone.')
param publicNetworkAccess bool
param principalId string
@description('false: an administrator assigns the roles, with the commands that are made from the output.')
param assignRoles bool

// What the Functions host, the queue triggers and the durable engine need: Blob Data Owner for the host's leases.
var roleIds = {
  'Storage Blob Data Owner': 'b7e6dc6d-f1e8-4753-8033-0f276bb0955b'
  'Storage Queue Data Contributor': '974c5e8b-45b9-4653-ba55-5f855dd0fb88'
  'Storage Table Data Contributor': '0a9a7e1f-b9d0-4cc4-a60d-0319b160aaa3'
}

resource account 'Microsoft.Storage/storageAccounts@2025-06-01' = {
  name: name
  location: location
  tags: tags
  kind: 'StorageV2'
  sku: { name: 'Standard_LRS' }
  properties: {
    allowBlobPublicAccess: false
    allowCrossTenantReplication: false
    allowSharedKeyAccess: false
    defaultToOAuthAuthentication: true
    minimumTlsVersion: 'TLS1_2'
    supportsHttpsTrafficOnly: true
    publicNetworkAccess: publicNetworkAccess ? 'Enabled' : 'Disabled'
    networkAcls: {
      bypass: 'None'
      defaultAction: publicNetworkAccess ? 'Allow' : 'Deny'
    }
  }

  resource blobs 'blobServices' = {
    name: 'default'

    resource packages 'containers' = {
      name: containerName
      properties: { publicAccess: 'None' }
    }
  }

  resource queueService 'queueServices' = {
    name: 'default'

    resource queues 'queues' = [for queueName in queueNames: {
      name: queueName
    }]
  }
}

resource roles 'Microsoft.Authorization/roleAssignments@2022-04-01' = [for role in items(roleIds): if (assignRoles) {
  name: guid(account.id, principalId, role.value)
  scope: account
  properties: {
    description: role.key
    principalId: principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', role.value)
  }
}]

output blobEndpoint string = account.properties.primaryEndpoints.blob
output queueEndpoint string = account.properties.primaryEndpoints.queue
output tableEndpoint string = account.properties.primaryEndpoints.table
output id string = account.id
output roleAssignments { name: string, scope: string, roleId: string }[] = map(items(roleIds), role => {
  name: guid(account.id, principalId, role.value)
  scope: account.id
  roleId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', role.value)
})
