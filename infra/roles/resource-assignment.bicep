// A role of the app's identity at one resource.
targetScope = 'resourceGroup'

@description('Name of the role assignment, a GUID.')
param name string

@description('Id of the role definition.')
param roleId string

@description('Object id of the app\'s identity.')
param principalId string

@description('Type of the resource, in lower case.')
@allowed([
  'microsoft.recoveryservices/vaults'
  'microsoft.storage/storageaccounts'
  'microsoft.network/virtualnetworks'
  'microsoft.compute/virtualmachines'
])
param resourceType string

@description('Name of the resource.')
param resourceName string

var properties = { roleDefinitionId: roleId, principalId: principalId, principalType: 'ServicePrincipal' }

resource vault 'Microsoft.RecoveryServices/vaults@2025-08-01' existing = if (resourceType == 'microsoft.recoveryservices/vaults') {
  name: resourceName
}

resource onVault 'Microsoft.Authorization/roleAssignments@2022-04-01' = if (resourceType == 'microsoft.recoveryservices/vaults') {
  name: name
  scope: vault
  properties: properties
}

resource account 'Microsoft.Storage/storageAccounts@2025-06-01' existing = if (resourceType == 'microsoft.storage/storageaccounts') {
  name: resourceName
}

resource onAccount 'Microsoft.Authorization/roleAssignments@2022-04-01' = if (resourceType == 'microsoft.storage/storageaccounts') {
  name: name
  scope: account
  properties: properties
}

resource network 'Microsoft.Network/virtualNetworks@2025-01-01' existing = if (resourceType == 'microsoft.network/virtualnetworks') {
  name: resourceName
}

resource onNetwork 'Microsoft.Authorization/roleAssignments@2022-04-01' = if (resourceType == 'microsoft.network/virtualnetworks') {
  name: name
  scope: network
  properties: properties
}

resource machine 'Microsoft.Compute/virtualMachines@2025-04-01' existing = if (resourceType == 'microsoft.compute/virtualmachines') {
  name: resourceName
}

resource onMachine 'Microsoft.Authorization/roleAssignments@2022-04-01' = if (resourceType == 'microsoft.compute/virtualmachines') {
  name: name
  scope: machine
  properties: properties
}
