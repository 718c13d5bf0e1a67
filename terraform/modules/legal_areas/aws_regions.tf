# Where each region of AWS stands: its country (ISO 3166-1), about where in it, and whose law holds there.
#
# Sources: the list of regions in the EC2 user guide; member states of the EU and the EEA. Locations are those of the
# city or state that AWS names; Patchbay reckons round trips from them until it has measured some.

locals {
  aws_regions = {
    "af-south-1"     = { country = "ZA", latitude = -33.93, longitude = 18.42, jurisdictions = ["za"] }
    "ap-east-1"      = { country = "HK", latitude = 22.28, longitude = 114.16, jurisdictions = ["hk"] }
    "ap-northeast-1" = { country = "JP", latitude = 35.68, longitude = 139.69, jurisdictions = ["jp"] }
    "ap-northeast-2" = { country = "KR", latitude = 37.57, longitude = 126.98, jurisdictions = ["kr"] }
    "ap-northeast-3" = { country = "JP", latitude = 34.69, longitude = 135.50, jurisdictions = ["jp"] }
    "ap-south-1"     = { country = "IN", latitude = 19.08, longitude = 72.88, jurisdictions = ["in"] }
    "ap-south-2"     = { country = "IN", latitude = 17.39, longitude = 78.49, jurisdictions = ["in"] }
    "ap-southeast-1" = { country = "SG", latitude = 1.35, longitude = 103.82, jurisdictions = ["sg"] }
    "ap-southeast-2" = { country = "AU", latitude = -33.87, longitude = 151.21, jurisdictions = ["au"] }
    "ap-southeast-3" = { country = "ID", latitude = -6.21, longitude = 106.85, jurisdictions = ["id"] }
    "ap-southeast-4" = { country = "AU", latitude = -37.81, longitude = 144.96, jurisdictions = ["au"] }
    "ap-southeast-5" = { country = "MY", latitude = 3.14, longitude = 101.69, jurisdictions = ["my"] }
    "ap-southeast-7" = { country = "TH", latitude = 13.76, longitude = 100.50, jurisdictions = ["th"] }
    "ca-central-1"   = { country = "CA", latitude = 45.50, longitude = -73.57, jurisdictions = ["ca"] }
    "ca-west-1"      = { country = "CA", latitude = 51.05, longitude = -114.07, jurisdictions = ["ca"] }
    "eu-central-1"   = { country = "DE", latitude = 50.11, longitude = 8.68, jurisdictions = ["eu", "eea"] }
    "eu-central-2"   = { country = "CH", latitude = 47.38, longitude = 8.54, jurisdictions = ["ch"] }
    "eu-north-1"     = { country = "SE", latitude = 59.33, longitude = 18.07, jurisdictions = ["eu", "eea"] }
    "eu-south-1"     = { country = "IT", latitude = 45.46, longitude = 9.19, jurisdictions = ["eu", "eea"] }
    "eu-south-2"     = { country = "ES", latitude = 41.65, longitude = -0.88, jurisdictions = ["eu", "eea"] }
    "eu-west-1"      = { country = "IE", latitude = 53.35, longitude = -6.26, jurisdictions = ["eu", "eea"] }
    "eu-west-2"      = { country = "GB", latitude = 51.51, longitude = -0.13, jurisdictions = ["uk"] }
    "eu-west-3"      = { country = "FR", latitude = 48.86, longitude = 2.35, jurisdictions = ["eu", "eea"] }
    "il-central-1"   = { country = "IL", latitude = 32.09, longitude = 34.78, jurisdictions = ["il"] }
    "me-central-1"   = { country = "AE", latitude = 24.45, longitude = 54.38, jurisdictions = ["ae"] }
    "me-south-1"     = { country = "BH", latitude = 26.07, longitude = 50.56, jurisdictions = ["bh"] }
    "mx-central-1"   = { country = "MX", latitude = 20.59, longitude = -100.39, jurisdictions = ["mx"] }
    "sa-east-1"      = { country = "BR", latitude = -23.55, longitude = -46.63, jurisdictions = ["br"] }
    "us-east-1"      = { country = "US", latitude = 38.95, longitude = -77.45, jurisdictions = ["us"] }
    "us-east-2"      = { country = "US", latitude = 39.96, longitude = -83.00, jurisdictions = ["us"] }
    "us-west-1"      = { country = "US", latitude = 37.35, longitude = -121.96, jurisdictions = ["us"] }
    "us-west-2"      = { country = "US", latitude = 45.87, longitude = -119.69, jurisdictions = ["us"] }
  }
}
