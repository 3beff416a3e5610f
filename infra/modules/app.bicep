// The function app and its plan.
param name string
param planName string
param location string
param tags object
@allowed([ 'FlexConsumption', 'Premium' ])
param hostingPlan string
param identityId string
param containerUrl string
@description('The subnet from which the app makes its calls; empty: none.')
param subnetId string
param appSettings object

var isFlex = hostingPlan == 'FlexConsumption'
var pythonVersion = '3.13'

// Premium without the usual share of Azure Files, which accepts only account keys: the app runs from a package in the
// storage account, which it reads with its identity. Flex has functionAppConfig instead, and refuses these settings.
var premiumSettings = {
  FUNCTIONS_EXTENSION_VERSION: '~4'
  FUNCTIONS_WORKER_RUNTIME: 'python'
  WEBSITE_RUN_FROM_PACKAGE: '${containerUrl}/package.zip'
  WEBSITE_RUN_FROM_PACKAGE_BLOB_MI_RESOURCE_ID: identityId
}

resource plan 'Microsoft.Web/serverfarms@2025-03-01' = {
  name: planName
  location: location
  tags: tags
  kind: isFlex ? 'functionapp' : 'elastic'
  sku: isFlex ? { name: 'FC1', tier: 'FlexConsumption' } : { name: 'EP1', tier: 'ElasticPremium' }
  properties: isFlex ? { reserved: true } : { reserved: true, maximumElasticWorkerCount: 20 }
}

resource app 'Microsoft.Web/sites@2025-03-01' = {
  name: name
  location: location
  tags: union(tags, { 'azd-service-name': 'api' })
  kind: 'functionapp,linux'
  identity: {
    type: 'UserAssigned'
    userAssignedIdentities: { '${identityId}': {} }
  }
  properties: {
    serverFarmId: plan.id
    httpsOnly: true
    keyVaultReferenceIdentity: identityId
    publicNetworkAccess: 'Enabled'
    virtualNetworkSubnetId: empty(subnetId) ? null : subnetId
    functionAppConfig: isFlex
      ? {
          deployment: {
            storage: {
              type: 'blobContainer'
              value: containerUrl
              authentication: { type: 'UserAssignedIdentity', userAssignedIdentityResourceId: identityId }
            }
          }
          runtime: { name: 'python', version: pythonVersion }
          scaleAndConcurrency: { instanceMemoryMB: 2048, maximumInstanceCount: 40 }
        }
      : null
    siteConfig: union(
      { ftpsState: 'Disabled', http20Enabled: true, minTlsVersion: '1.2', scmMinTlsVersion: '1.2' },
      isFlex
        ? {}
        : {
            // Flex has no health check of the platform.
            healthCheckPath: '/api/health'
            linuxFxVersion: 'Python|${pythonVersion}'
            // The host measures the length of its queues itself, with the identity and through the virtual network.
            functionsRuntimeScaleMonitoringEnabled: true
            minimumElasticInstanceCount: 1
            vnetRouteAllEnabled: !empty(subnetId)
          }
    )
  }

  resource settings 'config' = {
    name: 'appsettings'
    properties: union(appSettings, isFlex ? {} : premiumSettings)
  }

  // Neither FTP nor the deployment site takes a password; azd and az deploy with Entra ID.
  resource ftp 'basicPublishingCredentialsPolicies' = {
    name: 'ftp'
    properties: { allow: false }
  }

  resource scm 'basicPublishingCredentialsPolicies' = {
    name: 'scm'
    properties: { allow: false }
  }
}

output hostName string = app.properties.defaultHostName
