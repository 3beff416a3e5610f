// A role of the app's identity at a subscription.
targetScope = 'subscription'

@description('Name of the role assignment, a GUID.')
param name string

@description('Id of the role definition.')
param roleId string

@description('Object id of the app\'s identity.')
param principalId string

resource assignment 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: name
  properties: { roleDefinitionId: roleId, principalId: principalId, principalType: 'ServicePrincipal' }
}
